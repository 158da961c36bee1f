// What stands beside the board: players, expectation, moves in words, the review of a match.

import { element, moveText, seatColour, seatName, signClass, signed } from "./seats.js";

const at = (id) => document.getElementById(id);

// `change(seat, name)`: a player for a seat; null is the person.
export function drawPlayers(facts, players, seat, change) {
  const key = players.join();
  if (at("players").dataset.key !== key) listPlayers(facts, players, change);
  at("players").dataset.key = key; // a list that stays keeps the focus
  for (const [number, row] of [...at("players").children].entries()) {
    row.classList.toggle("moves-next", number === seat);
  }
}

function listPlayers(facts, players, change) {
  const last = facts.levels.length - 1;
  const rows = players.map((player, number) => {
    const level = facts.levels.findIndex(({ name }) => name === player);
    const dot = element("span", { className: "dot" });
    dot.style.background = seatColour(facts, number);
    const who = element("button", { textContent: nameOf(player) });
    who.append(element("span", { className: "change", textContent: "⇄", ariaHidden: "true" }));
    who.id = `who-${number}`;
    who.setAttribute("aria-label", `${seatName(facts, number)}: ${player ?? "you"}. Change`);
    who.addEventListener("click", () =>
      change(number, player === null ? facts.first.players.find(Boolean) ?? "agent" : null),
    );
    const name = element("span", { textContent: seatName(facts, number) });
    const row = element("li", {}, dot, name, who);
    if (player !== null && last > 0) row.append(slider(facts, number, level, change));
    return row;
  });
  at("players").replaceChildren(...rows);
}

// Snapshots are the agent, too; their ages stand beside the slider.
function nameOf(player) {
  if (player === null) return "You";
  return /^(agent|snapshot:\d+)$/.test(player) ? "Agent" : player;
}

function slider(facts, seat, level, change) {
  const shown = element("output", { textContent: facts.levels[level]?.label ?? "" });
  const range = element("input", {
    type: "range",
    id: `level-${seat}`,
    min: 0,
    max: facts.levels.length - 1,
    value: Math.max(level, 0),
  });
  range.setAttribute("aria-label", `Strength of ${seatName(facts, seat)}`);
  range.addEventListener("input", () => (shown.textContent = facts.levels[range.value].label));
  range.addEventListener("change", () => change(seat, facts.levels[range.value].name));
  return element("label", {}, "Strength", range, shown);
}

// What the agent expects for the person, or for the seat to move where nothing else is known.
export function drawExpectation(facts, position, own) {
  const seat = position.expects[own] === null ? position.seat : own;
  const value = position.expects[seat];
  const [lowest, highest] = facts.range ?? [-1, 1];
  const share = (value - lowest) / (highest - lowest || 1);
  at("expectation").hidden = false;
  at("share").style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  const verb = position.over ? "The match paid" : "The agent expects";
  at("expected").textContent = `${verb} ${signed(value)} for ${seatName(facts, seat)}`;
}

// Moves that the board has no place for.
export function drawMoves(facts, position, enabled, play) {
  const { kind, moves } = facts.layout;
  const places = moves === "cells" ? facts.layout.rows * facts.layout.columns : Infinity;
  const listed = position.legal.filter(
    ({ action }) => kind === "text" || kind === "points" || moves === "list" || (moves === "cells" && action >= places),
  );
  at("moves").hidden = !listed.length;
  at("moves").replaceChildren(
    ...listed.map((move) => {
      const button = element("button", { textContent: moveText(facts, move), disabled: !enabled });
      button.addEventListener("click", () => play(move.action));
      if (move.value !== undefined) {
        const className = `value ${signClass(move.value)}`;
        button.append(element("span", { className, textContent: signed(move.value) }));
      }
      return button;
    }),
  );
}

// The strip of values by ply, for the seat `own`; `look(ply)` shows the position before a ply.
export function drawReview(facts, told, own, current, look) {
  const [lowest, highest] = facts.range ?? [-1, 1];
  const most = Math.max(Math.abs(lowest), Math.abs(highest)) || 1;
  const bars = told.plies.map((ply, number) => {
    const value = ply.values[own] ?? ply.values[ply.seat];
    const part = Math.min(50, Math.max(1, 50 * Math.abs(value / most)));
    const text = `${number + 1}. ${seatName(facts, ply.seat)} ${moveText(facts, ply)}, ${signed(value)}`;
    const bar = element("button", { title: text, tabIndex: -1 });
    bar.setAttribute("aria-label", text);
    bar.classList.toggle("negative", value < 0);
    bar.classList.toggle("worst", ply.worst);
    bar.setAttribute("aria-current", String(number === current));
    bar.style.setProperty("--top", `${value < 0 ? 50 : 50 - part}%`);
    bar.style.setProperty("--height", `${part}%`);
    bar.addEventListener("click", () => look(number));
    return bar;
  });
  at("strip").replaceChildren(...bars);
  const worst = told.plies
    .map((ply, number) => ({ ...ply, number }))
    .filter((ply) => ply.worst)
    .sort((one, other) => other.lost - one.lost)
    .map((ply) => {
      const move = `${seatName(facts, ply.seat)}, ${moveText(facts, ply)}`;
      const text = `${ply.number + 1}. ${move} (−${ply.lost.toFixed(2)})`;
      const button = element("button", { textContent: text });
      button.addEventListener("click", () => look(ply.number));
      return button;
    });
  at("worst").replaceChildren(
    worst.length ? "Worst moves: " : "No move lost much.",
    ...worst,
  );
}
