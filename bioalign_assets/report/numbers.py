"""Figures as text, the same way everywhere in the report."""

__all__ = ["interval", "p_value", "percent", "real", "signed"]

MISSING = "–"


def real(value: float | None) -> str:
    """Return a figure to 3 decimals, a small one to 2 significant digits. ``–`` where there is none."""
    if value is None:
        return MISSING
    text = f"{value:.3f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"
    return text.replace("-", "−")


def signed(value: float | None) -> str:
    """Return a change with its sign."""
    if value is None:
        return MISSING
    return real(value) if value < 0 else f"+{real(value)}"


def interval(value: float | None, low: float | None, high: float | None, *, is_change: bool = False) -> str:
    """Return ``value [low, high]``; the value alone where there is no interval."""
    told = signed if is_change else real
    if low is None or high is None:
        return told(value)
    return f"{told(value)} [{told(low)}, {told(high)}]"


def percent(value: float | None) -> str:
    """Return a change in percent with its sign."""
    return MISSING if value is None else f"{value:+,.1f}%".replace("-", "−")


def p_value(value: float | None) -> str:
    """Return a p-value; below 0.001 that it is."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
