"""What compiled programs take of a device's memory."""

from typing import Any


def program_bytes(compiled: Any) -> int | None:
    """Bytes a compiled program holds while it runs: arguments, outputs and what is between.

    Of one device where several share the program. None where the backend does not tell.
    """
    found = compiled.memory_analysis()
    if found is None:
        return None
    parts = (
        found.argument_size_in_bytes,
        found.output_size_in_bytes,
        found.temp_size_in_bytes,
        -found.alias_size_in_bytes,
    )
    return int(sum(parts))
