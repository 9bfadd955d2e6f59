"""Named entities by token classification: the trainable component `xlt_ner`."""
