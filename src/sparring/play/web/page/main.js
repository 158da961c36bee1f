// The match: what was played, whose turn it is, and what buttons and keys do. The server keeps
// nothing, so the state here is the whole state, and the address shows it.

import * as address from "./address.js";
import { Grid } from "./grid.js";
import { Ludo } from "./ludo.js";
import { Points } from "./points.js";
import { drawExpectation, drawMoves, drawPlayers, drawReview } from "./panels.js";
import { element, seatName, title } from "./seats.js";
import * as server from "./server.js";

const at = (id) => document.getElementById(id);
const DELAY = 450; // milliseconds before an agent moves, so that the eye can follow
const BETWEEN_AGENTS = 750;
const RETRY = 3000;

let facts, state, board, position, told;
let turn = 0; // counts what the person did; answers to older questions are dropped
let drawn = null; // the moves of the position on the screen
let paused = false;

class Text {
  constructor(root) {
    root.className = "board";
    this.text = root.appendChild(element("pre", { className: "text" }));
  }

  draw(shown) {
    this.text.textContent = shown.text;
  }
}

const match = (moves) => ({ seed: state.seed, match: state.match, moves });
const looking = () => state.at !== null;
const shownMoves = () => state.moves.slice(0, state.at ?? undefined);
const isYours = (seat) => state.players[seat] === null;
const onlyAgents = () => !state.players.includes(null);
const own = () => Math.max(0, state.players.indexOf(null));

async function begin() {
  const late = setTimeout(() => {
    at("status").textContent = "Getting ready: the first time takes some seconds";
  }, 700);
  facts = await server.facts().finally(() => clearTimeout(late));
  state = address.read(facts.first, facts.seats);
  at("title").textContent = document.title = title(facts.game);
  const kinds = { grid: Grid, ludo: Ludo, points: Points, text: Text };
  board = new kinds[facts.layout.kind](at("board"), facts, play);
  document.addEventListener("keydown", key);
  addEventListener("hashchange", () => {
    state = address.read(facts.first, facts.seats);
    show();
  });
  for (const [id, act] of Object.entries(BUTTONS)) at(id).addEventListener("click", act);
  await show();
}

// Ask for the position that is to be seen, draw it, and let the agent move.
async function show() {
  const mine = ++turn;
  address.write(state);
  await answered(mine, async () => {
    const shown = await server.position(match(shownMoves()), state.hints || looking());
    if (mine !== turn) return;
    draw(shown);
    await reviewIfOver(mine);
    await replies(mine);
  });
}

async function replies(mine) {
  while (mine === turn && !position.over && !looking() && !paused && !isYours(position.seat)) {
    at("board").classList.add("thinking");
    await new Promise((later) => setTimeout(later, onlyAgents() ? BETWEEN_AGENTS : DELAY));
    if (mine !== turn) return;
    const player = state.players[position.seat];
    const shown = await server.reply(match(state.moves), player, state.hints);
    if (mine !== turn) return;
    state.moves.push(shown.action);
    address.write(state);
    draw(shown);
    await reviewIfOver(mine);
  }
}

// Run questions to the server; what goes wrong is shown, and the next click tries again.
async function answered(mine, questions) {
  try {
    await questions();
    if (mine === turn) at("trouble").hidden = true;
  } catch (error) {
    if (mine !== turn) return;
    if (error instanceof server.Refused) {
      trouble(`This match cannot be shown: ${error.message}. Press New for another.`);
    } else if (error instanceof server.Gone) {
      trouble(
        `${error.message[0].toUpperCase()}${error.message.slice(1)}. Start it again and open the ` +
          "address that it prints; what follows the # in the present address is this match.",
      );
      setTimeout(() => mine === turn && show(), RETRY);
    } else throw error;
  } finally {
    if (mine === turn) at("board").classList.remove("thinking");
  }
}

function trouble(text) {
  at("trouble").textContent = text;
  at("trouble").hidden = false;
  at("status").textContent = "";
}

function draw(shown) {
  position = shown;
  const moves = shownMoves();
  const fresh = drawn !== null && moves.length === drawn + 1;
  drawn = moves.length;
  const enabled = !shown.over && isYours(shown.seat) && !looking();
  board.draw(shown, { last: moves.at(-1) ?? null, fresh, enabled, own: own() });
  drawPlayers(facts, state.players, shown.over ? -1 : shown.seat, change);
  drawExpectation(facts, shown, own());
  drawMoves(facts, shown, enabled, play);
  at("status").replaceChildren(status(shown));
  if (!shown.over) {
    for (const die of shown.dice ?? (shown.roll ? [shown.roll] : [])) {
      at("status").append(element("span", { className: "die", textContent: die }));
    }
  }
  at("hints").setAttribute("aria-pressed", String(state.hints));
  at("undo").disabled = !state.moves.length;
  at("pause").hidden = !onlyAgents() || shown.over || looking();
  at("pause").lastElementChild.textContent = paused ? "Go on" : "Pause";
  at("review").hidden = !(shown.over || looking());
}

function status(shown) {
  if (looking()) return `Move ${state.at + 1} of ${state.moves.length}`;
  if (!shown.over) {
    const name = seatName(facts, shown.seat);
    return isYours(shown.seat) ? `Your turn, ${name}` : `${name} is thinking`;
  }
  if (shown.cut) return "The match was cut: it was too long";
  if (facts.seats === 1) return "The match is over";
  if (shown.winners.length === facts.seats) return "Draw";
  const yours = shown.winners.length === 1 && isYours(shown.winners[0]);
  const names = shown.winners.map((seat) => seatName(facts, seat)).join(" and ");
  return yours && state.players.filter((name) => name === null).length === 1
    ? "You win"
    : `${names} win${shown.winners.length === 1 ? "s" : ""}`;
}

async function reviewIfOver(mine) {
  if (!position.over && !looking()) return;
  const asked = JSON.stringify(match(state.moves));
  if (told?.asked !== asked) {
    const { plies } = await server.review(match(state.moves));
    told = { asked, plies: plies.map((ply, number) => ({ ...ply, action: state.moves[number] })) };
  }
  if (mine === turn) drawReview(facts, told, own(), state.at, look);
}

function play(action) {
  if (!position || looking() || position.over || !isYours(position.seat)) return;
  if (!position.legal.some((move) => move.action === action)) return;
  position = { ...position, over: true, legal: [] }; // until the answer comes
  state.moves.push(action);
  show();
}

function look(ply) {
  state.at = ply >= 0 && ply < state.moves.length ? ply : null;
  show();
}

function change(seat, player) {
  state.players[seat] = player;
  show();
}

const BUTTONS = {
  undo() {
    if (!position) return; // the first one is still being asked for
    const movers = looking() ? told.plies.map((ply) => ply.seat) : position.movers;
    state.at = null;
    let kept = state.moves.length - 1;
    while (kept > 0 && !onlyAgents() && !isYours(movers[kept])) kept--;
    if (kept < 0 || (!onlyAgents() && !isYours(movers[kept]))) {
      at("status").textContent = "There is nothing to take back";
      return;
    }
    paused = onlyAgents();
    state.moves.length = kept;
    show();
  },
  swap() {
    state.players.unshift(state.players.pop());
    show();
  },
  new() {
    state = { ...state, match: state.match + 1, moves: [], at: null };
    paused = false;
    drawn = null;
    show();
  },
  hints() {
    state.hints = !state.hints;
    show();
  },
  pause() {
    paused = !paused;
    show();
  },
  back: () => look(Math.max(0, (state.at ?? state.moves.length) - 1)),
  forth: () => looking() && look(state.at + 1),
  end: () => look(-1),
  here() {
    if (!looking()) return;
    state.moves.length = state.at;
    state.at = null;
    show();
  },
};
const KEYS = { u: "undo", s: "swap", n: "new", h: "hints", Escape: "end" };

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.type === "range" && event.key.startsWith("Arrow")) return; // moves the slider
  if (/^[1-9]$/.test(event.key)) playNumber(Number(event.key));
  else if (event.key === " " && !at("pause").hidden && event.target.tagName !== "BUTTON") {
    event.preventDefault();
    BUTTONS.pause();
  } else if (event.key === "ArrowLeft" && !at("review").hidden) BUTTONS.back();
  else if (event.key === "ArrowRight" && !at("review").hidden) BUTTONS.forth();
  else if (KEYS[event.key]) BUTTONS[KEYS[event.key]]();
}

// Columns, cells and tokens by their numbers; of other games the first nine moves.
function playNumber(number) {
  const { kind, moves } = facts.layout;
  const direct = kind === "ludo" || moves === "columns" || moves === "cells";
  play(direct ? number - 1 : position?.legal[number - 1]?.action);
}

answered(turn, begin);
