// The match in the part of the address behind the #: a reload, a copy or another tab goes on there.

export function read(first, seats) {
  const given = new URLSearchParams(location.hash.slice(1));
  const moves = (given.get("moves") ?? "").split(".").filter((move) => /^\d{1,9}$/.test(move));
  const players = given.has("players") ? given.get("players").split(",") : [];
  const at = Number.parseInt(given.get("at"), 10);
  return {
    seed: /^\d{1,19}$/.test(given.get("seed")) ? given.get("seed") : first.seed,
    match: Number.parseInt(given.get("match"), 10) || 1,
    moves: moves.map(Number),
    players:
      players.length === seats
        ? players.map((name) => (name === "you" ? null : name))
        : [...first.players],
    at: at >= 0 && at < moves.length ? at : null,
    hints: given.has("seed") ? given.has("hints") : first.values,
  };
}

export function write(state) {
  const shown = new URLSearchParams({ seed: state.seed, match: state.match });
  shown.set("players", state.players.map((name) => name ?? "you").join(","));
  if (state.moves.length) shown.set("moves", state.moves.join("."));
  if (state.at !== null) shown.set("at", state.at);
  if (state.hints) shown.set("hints", "");
  history.replaceState(null, "", `#${shown}`);
}
