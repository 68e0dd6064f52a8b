"""Environments of other packages as jaxrl environments; imported when one is made."""
