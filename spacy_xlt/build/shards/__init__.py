"""What is done with the shards of a build: listing, verifying, sampling, splitting, exporting."""
