"""Environments, one folder a family; installed as `jaxrl.envs`."""
