"""Reports as self-contained pages: what a build took in and gave out, and how projectors compare."""
