"""Breaches of the contract by compiled rules, in words."""

RULES = ("start", "legal", "observe", "play")  # by the driver's numbers
# by the driver's names: the rules function at fault, got, expected, remedy
BREACHES = {
    "NO_SUCH_SEAT": (
        "play",
        "seat {seat}",
        "0 to {last_seat}",
        'set state["seat"] to the seat to move, after the end too',
    ),
    "NO_LEGAL_ACTION": (
        "legal",
        "no legal action",
        "at least one while a match goes on",
        "end the match, or offer one that passes",
    ),
    "OBSERVATION_NOT_FINITE": (
        "observe",
        "NaN or infinity",
        "finite numbers",
        "observe finite numbers only",
    ),
    "OBSERVATION_TOO_LARGE": (
        "observe",
        "{misfit} in an observation of {dtype}",
        "{lowest} to {highest}",
        "declare a larger observation_dtype, or scale the number",
    ),
    "REWARD_NOT_FINITE": (
        "play",
        "rewards {rewards}",
        "finite numbers",
        "pay finite rewards only",
    ),
}
