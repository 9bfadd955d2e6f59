"""The trainable components: `xlt_ner` and `xlt_seq2seq_ner` find entities, and `xlt_relations` links between them."""
