// Questions to the server. The page's own address holds the token, so paths are relative.

export class Refused extends Error {}
export class Gone extends Error {}

async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(
      `api/${path}`,
      body && {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      },
    );
  } catch {
    throw new Gone("the server does not answer");
  }
  if (answer.status === 403) throw new Gone("the server was started anew");
  if (answer.status === 503) {
    await new Promise((later) => setTimeout(later, 500));
    return ask(path, body);
  }
  const told = await answer.json();
  if (!answer.ok) throw new Refused(told.error);
  return told;
}

export const facts = () => ask("facts");
export const position = (match, values) => ask("position", { ...match, values });
export const reply = (match, player, values) => ask("reply", { ...match, player, values });
export const review = (match) => ask("review", match);
