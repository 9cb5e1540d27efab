"""porter: from a Hugging Face vision-language repo to a vLLM port whose numbers equal the repo's own code."""

__version__ = "0.1.0"
