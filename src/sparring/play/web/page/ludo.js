// The board of Ludo: 15 by 15 squares. The server says where the tokens are.

import { element, seatColour, signClass, signed } from "./seats.js";

const SVG = "http://www.w3.org/2000/svg";
const CORNERS = [[0, 0], [0, 9], [9, 9], [9, 0]]; // row and column, by quarter
const SAFE = ["2,6", "6,12", "12,8", "8,2"];
const STARTS = ["6,1", "1,8", "8,13", "13,6"];

export class Ludo {
  constructor(root, facts, play) {
    this.root = root;
    this.facts = facts;
    this.play = play;
    root.className = "board ludo";
    root.append(this.background());
    this.tokens = [];
  }

  // Two players sit opposite each other.
  seatOf(quarter) {
    if (this.facts.seats === 2) return quarter % 2 ? -1 : quarter / 2;
    return quarter < this.facts.seats ? quarter : -1;
  }

  colourOf(quarter) {
    const seat = this.seatOf(quarter);
    return seat < 0 ? "var(--line)" : seatColour(this.facts, seat);
  }

  background() {
    const svg = shape("svg", { viewBox: "0 0 15 15" });
    for (let row = 0; row < 15; row++) {
      for (let column = 0; column < 15; column++) {
        if ((row < 6 || row > 8) === (column < 6 || column > 8)) continue;
        svg.append(this.square(row, column));
      }
    }
    for (const [quarter, [row, column]] of CORNERS.entries()) {
      const yard = shape("rect", { x: column, y: row, width: 6, height: 6, class: "yard" });
      yard.style.fill = this.colourOf(quarter);
      svg.append(yard);
      if (this.seatOf(quarter) < 0) continue;
      for (const [down, right] of [[2, 2], [2, 4], [4, 2], [4, 4]]) {
        svg.append(shape("circle", { cx: column + right, cy: row + down, r: 0.7, class: "spot" }));
      }
    }
    const points = ["6,6 6,9", "6,6 9,6", "9,6 9,9", "9,9 6,9"];
    for (const [quarter, side] of points.entries()) {
      const home = shape("polygon", { points: `7.5,7.5 ${side}` });
      home.style.fill = this.colourOf(quarter);
      svg.append(home);
    }
    return svg;
  }

  square(row, column) {
    const place = `${row},${column}`;
    const square = shape("rect", { x: column, y: row, width: 1, height: 1, class: "square" });
    const ways = [
      row === 7 && column > 0 && column < 6,
      column === 7 && row > 0 && row < 6,
      row === 7 && column > 8 && column < 14,
      column === 7 && row > 8 && row < 14,
    ];
    const quarter = Math.max(STARTS.indexOf(place), ways.indexOf(true));
    if (quarter >= 0) square.style.fill = this.colourOf(quarter);
    if (SAFE.includes(place)) square.setAttribute("class", "square safe");
    return square;
  }

  draw(position, { enabled }) {
    this.place(position.tokens);
    const here = (token) => `${token.seat}:${token.row}:${token.column}`;
    const legal = new Map();
    for (const move of position.legal) {
      const moved = position.tokens.find(
        (token) => token.seat === position.seat && token.rank === move.action,
      );
      legal.set(here(moved), move);
    }
    for (const token of this.tokens) {
      const move = legal.get(here(token));
      const { button } = token;
      button.disabled = !(move && enabled);
      button.classList.toggle("legal", Boolean(move && enabled));
      button.style.zIndex = (move ? 20 : 1) + token.before; // no other covers one that can move
      button.onclick = () => this.play(move.action);
      button.replaceChildren(String(token.rank + 1));
      if (move?.value !== undefined && move.action === token.rank) {
        button.append(
          element("span", {
            className: `value ${signClass(move.value)}`,
            textContent: signed(move.value),
          }),
        );
      }
    }
  }

  // The tokens of a seat are alike: each drawn one that has still a token in its place keeps it,
  // so that only what has moved moves.
  place(tokens) {
    if (!this.tokens.length) {
      this.tokens = tokens.map((token) => {
        const button = element("button", { className: "token" });
        button.style.setProperty("--colour", seatColour(this.facts, token.seat));
        this.root.append(button);
        return { seat: token.seat, button };
      });
    }
    const left = [...tokens];
    const take = (fits) => left.splice(left.findIndex(fits), 1)[0];
    const moved = this.tokens.filter((drawn) => {
      const same = (token) =>
        token.seat === drawn.seat && token.row === drawn.row && token.column === drawn.column;
      if (!left.some(same)) return true;
      Object.assign(drawn, take(same));
      return false;
    });
    for (const drawn of moved) Object.assign(drawn, take((token) => token.seat === drawn.seat));
    const together = new Map();
    for (const token of this.tokens) {
      const { row, column, button } = token;
      const before = together.get(`${row},${column}`) ?? 0;
      together.set(`${row},${column}`, before + 1);
      token.before = before;
      button.style.left = `${((column + 0.2 * before) / 15) * 100}%`;
      button.style.top = `${((row - 0.2 * before) / 15) * 100}%`;
    }
  }
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
