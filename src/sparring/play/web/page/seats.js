// Names and colours of seats, by game.

const NAMES = {
  connect_four: ["Red", "Yellow"],
  othello: ["Black", "White"],
  tic_tac_toe: ["X", "O"],
  ludo: ["Red", "Green", "Yellow", "Blue"],
  backgammon: ["Red", "Yellow"],
};
const COLOURS = {
  othello: ["#14181a", "#f3f1ea"],
  tic_tac_toe: ["var(--accent)", "var(--ink)"],
  ludo: [0, 2, 1, 3].map((number) => `var(--seat-${number})`),
};

const TITLES = { connect_four: "Connect Four", tic_tac_toe: "Tic-tac-toe" };

export const baseName = (game) => game.split("(")[0];

// "my_module:MyGame" and "openspiel:hex" without what stands before the colon.
export function title(game) {
  const name = baseName(game).split(/[:/]/).at(-1);
  return TITLES[name] ?? name.replaceAll("_", " ").replace(/^\w/, (c) => c.toUpperCase());
}

// A move in words; columns and cells have the numbers of their keys.
export function moveText(facts, { action, text }) {
  const { moves } = facts.layout;
  if (text !== String(action) || !["columns", "cells"].includes(moves)) return text;
  return `${moves.slice(0, -1)} ${action + 1}`;
}

export function seatName(facts, seat) {
  return NAMES[baseName(facts.game)]?.[seat] ?? (facts.marks[seat] || `Player ${seat + 1}`);
}

export function seatColour(facts, seat) {
  return COLOURS[baseName(facts.game)]?.[seat] ?? `var(--seat-${seat % 4})`;
}

export function signed(value) {
  const rounded = value.toFixed(2);
  return Number(rounded) > 0 ? `+${rounded}` : rounded.replace("-", "−").replace("−0.00", "0.00");
}

export const signClass = (value) => (value < 0 ? "bad" : "good");

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
