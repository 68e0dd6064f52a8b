"""Environments of other packages as jaxrl environments; imported only when one of theirs is made."""
