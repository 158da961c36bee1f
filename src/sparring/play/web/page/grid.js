// Boards of cells: Connect Four, Othello, tic-tac-toe, and any game with a declared board.

import { baseName, element, seatColour, signClass, signed } from "./seats.js";

const LINES = { connect_four: 4, tic_tac_toe: 3 }; // so many in a row win
const LOOKS = { connect_four: "connect-four", tic_tac_toe: "tic-tac-toe", othello: "othello" };
const PEN = ["M10 10 90 90M90 10 10 90", "M50 8A42 42 0 1 1 49.9 8"];

export class Grid {
  constructor(root, facts, play) {
    this.root = root;
    this.facts = facts;
    this.layout = facts.layout;
    this.game = baseName(facts.game);
    this.cells = [];
    this.shown = [];
    this.chosen = []; // cells that were clicked, until one move is left that changes them all
    this.play = play;
    const { rows, columns } = this.layout;
    root.className = `board grid ${LOOKS[this.game] ?? "plain"}`;
    root.style.setProperty("--rows", rows);
    root.style.setProperty("--columns", columns);
    for (let place = 0; place < rows * columns; place++) {
      const row = Math.floor(place / columns);
      const index = this.index(row, place % columns);
      const cell = element("button", {
        className: "cell",
        disabled: true, // until the first position comes
        tabIndex: place ? -1 : 0,
      });
      cell.addEventListener("click", () => this.enabled && this.click(index));
      cell.addEventListener("pointerenter", () => this.aim(index % columns));
      this.cells[index] = cell;
      root.append(cell);
    }
    if (this.game === "connect_four") root.append(element("div", { className: "front" }));
    root.addEventListener("pointerleave", () => this.aim(-1));
    root.addEventListener("keydown", (event) => this.walk(event));
  }

  // The index of a cell by its place on the screen, rows from the top.
  index(row, column) {
    const { rows, columns, bottom_up: up } = this.layout;
    return (up ? rows - 1 - row : row) * columns + column;
  }

  action(index) {
    return this.layout.moves === "columns" ? index % this.layout.columns : index;
  }

  click(index) {
    if (this.layout.moves !== "list") return this.play(this.action(index));
    const again = this.chosen.includes(index);
    const further = [...this.chosen, index];
    this.chosen = again ? [] : this.candidates(further).length ? further : [index];
    const moves = this.candidates(this.chosen);
    if (moves.length === 1 && (this.chosen.length > 1 || !this.shown[index])) {
      return this.play(moves[0].action);
    }
    this.allow(this.position, this.shown);
  }

  // The moves that change all these cells.
  candidates(cells) {
    return this.position.legal.filter((move) => cells.every((cell) => move.cells?.includes(cell)));
  }

  // The cell that an action fills, or has just filled.
  target(action, cells, filled) {
    const { rows, columns, moves } = this.layout;
    if (moves === "cells") return action < cells.length ? action : -1;
    if (moves !== "columns") return -1;
    const column = [...Array(rows).keys()].map((row) => row * columns + action);
    const empty = column.findIndex((index) => !cells[index]);
    const row = empty < 0 ? rows : empty;
    return column[filled ? row - 1 : row] ?? -1;
  }

  // `fresh`: the position has just come from the one before by the action `last`.
  draw(position, { last, fresh, enabled }) {
    const cells = position.cells ?? this.withLast(position, last);
    this.enabled = enabled;
    this.position = position;
    this.chosen = [];
    const marked = last === null ? -1 : this.target(last, cells, true);
    const moved = this.layout.moves === "list" ? position.changed : [marked];
    const winners = this.line(cells, marked, position);
    for (const [index, cell] of this.cells.entries()) {
      this.fill(cell, index, cells[index]);
      cell.classList.toggle("last", moved.includes(index));
      cell.classList.toggle("fresh", fresh && moved.includes(index));
      cell.classList.toggle("won", winners.includes(index));
      cell.classList.toggle("taken", cells[index] !== 0);
    }
    this.shown = cells;
    this.allow(position, cells);
  }

  fill(cell, index, plane) {
    const row = this.layout.bottom_up
      ? this.layout.rows - 1 - Math.floor(index / this.layout.columns)
      : Math.floor(index / this.layout.columns);
    cell.setAttribute("aria-label", `row ${row + 1}, column ${(index % this.layout.columns) + 1}`);
    if (!plane) {
      cell.querySelector(".piece")?.remove();
      return;
    }
    let piece = cell.querySelector(".piece");
    if (!piece) cell.append((piece = element("span", { className: "piece" })));
    const each = this.layout.planes_per_seat;
    const seat = each ? Math.floor((plane - 1) / each) : 0;
    piece.className = `piece seat-${seat}`;
    piece.style.setProperty("--colour", seatColour(this.facts, seat));
    cell.style.setProperty("--height", row);
    if (this.game === "tic_tac_toe") draw(piece, PEN[seat]);
    else piece.textContent = each === 1 ? "" : each ? 1 + ((plane - 1) % each) : plane;
  }

  // Which cells can be clicked, and what the moves there are worth.
  allow(position, cells) {
    const listed = this.layout.moves === "list";
    const best = Math.max(...position.legal.map((move) => move.value ?? -Infinity));
    const next = this.candidates(this.chosen);
    const actions = new Set(position.legal.map(({ action }) => action));
    for (const [index, cell] of this.cells.entries()) {
      const used = listed
        ? position.legal.some((move) => move.cells?.includes(index))
        : actions.has(this.action(index));
      const leads = this.chosen.length > 0 && next.some((move) => move.cells.includes(index));
      cell.disabled = !(this.enabled && used);
      cell.classList.toggle("chosen", this.chosen.includes(index));
      cell.classList.toggle("target", leads && !this.chosen.includes(index));
      cell.classList.remove("best");
      cell.querySelector(".value")?.remove();
    }
    for (const move of listed ? next : position.legal) {
      for (const index of listed ? this.targets(move) : [this.target(move.action, cells, false)]) {
        this.tell(this.cells[index], move.value, best);
      }
    }
  }

  // The cells that are still to be clicked for a move of a list, once one is chosen.
  targets(move) {
    return this.chosen.length ? move.cells.filter((cell) => !this.chosen.includes(cell)) : [];
  }

  // Write what a move is worth into a cell.
  tell(cell, value, best) {
    if (!cell || value === undefined || cell.querySelector(".value")) return;
    cell.classList.toggle("best", value === best);
    cell.append(
      element("span", { className: `value ${signClass(value)}`, textContent: signed(value) }),
    );
  }

  // A game that does not show its last position: the one before, with the last move in it.
  withLast(position, last) {
    const cells = [...this.shown];
    const seat = position.movers.at(-1) ?? 0;
    const target = last === null ? -1 : this.target(last, cells, false);
    if (target >= 0) cells[target] = 1 + seat * (this.layout.planes_per_seat || 1);
    return cells;
  }

  // The cells of a winning line through the last one.
  line(cells, last, position) {
    const needed = LINES[this.game];
    if (!needed || last < 0 || position.winners.length !== 1) return [];
    const { rows, columns } = this.layout;
    const won = new Set();
    for (const [down, right] of [[0, 1], [1, 0], [1, 1], [1, -1]]) {
      const run = [last];
      for (const sign of [1, -1]) {
        let row = Math.floor(last / columns) + sign * down;
        let column = (last % columns) + sign * right;
        while (row >= 0 && row < rows && column >= 0 && column < columns) {
          if (cells[row * columns + column] !== cells[last]) break;
          run.push(row * columns + column);
          row += sign * down;
          column += sign * right;
        }
      }
      if (run.length >= needed) run.forEach((index) => won.add(index));
    }
    return [...won];
  }

  aim(column) {
    for (const [index, cell] of this.cells.entries()) {
      const below = this.layout.moves === "columns" && index % this.layout.columns === column;
      cell.classList.toggle("aim", below && !cell.disabled);
    }
  }

  // Arrow keys go from cell to cell; Enter plays, as on every button.
  walk(event) {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[
      event.key
    ];
    const places = [...this.root.querySelectorAll(".cell")];
    const from = places.indexOf(document.activeElement);
    if (!step || from < 0 || !this.enabled) return;
    event.preventDefault();
    event.stopPropagation();
    const { rows, columns } = this.layout;
    let [row, column] = [Math.floor(from / columns), from % columns];
    do {
      row += step[0];
      column += step[1];
      if (row < 0 || row >= rows || column < 0 || column >= columns) return;
    } while (places[row * columns + column].disabled);
    places.forEach((place) => (place.tabIndex = -1));
    places[row * columns + column].tabIndex = 0;
    places[row * columns + column].focus();
  }
}

function draw(piece, path) {
  if (piece.firstChild) return;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  piece.append(svg);
}
