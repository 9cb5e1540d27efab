"""The bundled example repo, and the scripts that write its tokenizer and weights."""
