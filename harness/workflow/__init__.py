"""The categories as steps: what each session really does."""
