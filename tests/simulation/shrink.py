"""Makes a failing plan small: leaves out whatever the failure does not need (Zeller's ddmin)."""

from collections.abc import Callable, Sequence


def shrink(
    items: Sequence[str], fails: Callable[[Sequence[str]], bool], most: int = 200
) -> list[str]:
    """The names that can be left out together so that it still `fails`, by `most` tries.

    Large pieces are tried first: a life leaves with its steps. One more round over single names
    follows whatever succeeded, for what was needed before may not be any more.
    """
    left_out: list[str] = []
    kept = list(items)
    size = max(1, len(kept) // 2)
    tries = 0
    while kept and tries < most:
        found = False
        for start in range(0, len(kept), size):
            piece = kept[start : start + size]
            if not piece or tries >= most:
                break
            tries += 1
            if fails([*left_out, *piece]):
                left_out += piece
                kept = [name for name in kept if name not in piece]
                found = True
                break
        if found:
            size = max(1, min(size, len(kept) // 2 or 1))
        elif size == 1:
            break
        else:
            size = max(1, size // 2)
    return left_out
