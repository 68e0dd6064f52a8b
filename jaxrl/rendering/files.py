"""Frames into files: GIF by Pillow, MP4 by the ffmpeg that imageio brings."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxrl.rendering.draw import Frame
from jaxrl.rendering.frames import RenderError

SUFFIXES = (".gif", ".mp4")
# Viewers slow down a GIF whose frames are shorter than two hundredths of a second.
_FASTEST_GIF = 50
# The colours of all frames are chosen from every second pixel of so many.
_SAMPLES, _COLOURS = 48, 256


def check_path(path: Path, suffixes: Sequence[str] = SUFFIXES, overwrite: bool = False) -> None:
    """Raises RenderError unless a file may be written at `path`; changes nothing.

    Its name must end in one of `suffixes`, its folder must exist and be writable, and it must not
    exist itself, unless `overwrite`. An MP4 needs the extra `video`.
    """
    if path.suffix.lower() not in suffixes:
        raise RenderError(f"{path} must end in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise RenderError(f"{path.parent} is not a folder, so {path.name} cannot be written there")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise RenderError(f"{path.parent} is not writable, so {path.name} cannot be written there")
    if path.exists() and not path.is_file():
        raise RenderError(f"{path} exists and is not a file")
    if path.exists() and not overwrite:
        raise RenderError(f"{path} exists; choose another --out or add --overwrite")
    if path.suffix.lower() == ".mp4":
        _ffmpeg()


def check_fps(path: Path, fps: float) -> None:
    """Raises RenderError unless `path` can show so many frames a second."""
    most = _FASTEST_GIF if path.suffix.lower() == ".gif" else 240
    if not 0 < fps <= most:
        raise RenderError(f"fps of {path.name} must be above 0 and at most {most}, got {fps:g}")


def save(
    frames: Sequence[Frame] | np.ndarray[Any, Any],
    path: str | os.PathLike[str],
    fps: float = 30,
    overwrite: bool = True,
) -> None:
    """Writes frames, so that the file is there whole or not at all.

    Args:
        frames: uint8 [H, W, 3] each: an array [T, H, W, 3], or a sequence that draws them when
            they are asked for (`jaxrl.rendering.Frames`), perhaps twice.
        path: ends in .gif or .mp4. A GIF has at most 256 colours, counts time in hundredths of a
            second, and joins equal neighbours; it repeats for ever. An MP4 has even sides.
        fps: frames a second, at most 50 for a GIF.
        overwrite: replace a file at `path`.

    Raises:
        RenderError: no frames, or `path` or `fps` cannot be used.
    """
    target = Path(path)
    check_path(target, overwrite=overwrite)
    check_fps(target, fps)
    if not len(frames):
        raise RenderError("there are no frames to write")
    temporary = target.with_name(f".{target.stem}.writing{target.suffix.lower()}")
    try:
        (_write_gif if temporary.suffix == ".gif" else _write_mp4)(frames, temporary, fps)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_gif(frames: Any, path: Path, fps: float) -> None:
    count = len(frames)
    palette = _palette(frames)

    def indexed() -> Iterator[Image.Image]:
        for i in range(count):
            yield Image.fromarray(frames[i]).quantize(palette=palette, dither=Image.Dither.NONE)

    # Rounded so that the error does not add up: 30 frames take a second.
    ends = [round(100 * (i + 1) / fps) for i in range(count)]
    durations = [10 * (end - start) for start, end in zip([0, *ends], ends, strict=False)]
    pictures = indexed()
    next(pictures).save(
        path,
        save_all=True,
        append_images=pictures,
        duration=durations,
        loop=0,
        optimize=False,
    )


def _palette(frames: Any) -> Image.Image:
    """The colours of a few frames, for all: the background does not flicker."""
    chosen = sorted({round(i) for i in np.linspace(0, len(frames) - 1, _SAMPLES).tolist()})
    return Image.fromarray(np.concatenate([frames[i][::2, ::2] for i in chosen])).quantize(_COLOURS)


def _write_mp4(frames: Any, path: Path, fps: float) -> None:
    height, width = frames[0].shape[:2]
    size = f"{width + width % 2}x{height + height % 2}"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", f"{fps:g}", "-i", "-"]
    coding = ["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    command = [_ffmpeg(), "-y", "-loglevel", "error", *source, *coding, str(path)]
    sides = ((0, height % 2), (0, width % 2), (0, 0))
    # imageio's own writer forks, which JAX warns of: threads and forks do not go together.
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=messages)
        assert process.stdin is not None
        try:
            with process.stdin as pipe:
                for i in range(len(frames)):
                    pipe.write(np.ascontiguousarray(np.pad(frames[i], sides, mode="edge")).data)
        except BrokenPipeError:
            pass  # ffmpeg has given up, and says why
        finally:
            code = process.wait()
        if code:
            messages.seek(0)
            reason = messages.read().decode(errors="replace").strip().splitlines()[-1:]
            raise RenderError(f"ffmpeg could not write {path.name}: {' '.join(reason) or code}")


def _ffmpeg() -> str:
    """Path of the program."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe  # type: ignore[import-untyped]

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError):
        raise RenderError("an MP4 needs imageio's ffmpeg: pip install 'jaxrl[video]'") from None
