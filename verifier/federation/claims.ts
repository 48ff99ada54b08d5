import type { Json, JsonObject } from '../json.ts';
import type { ClaimDemand } from '../log/operations.ts';

/** Claims of a token that are text, a boolean or a whole number, as text: all that is ever compared or shown to a policy. */
function claimText(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  return typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined;
}

/** The claims that have a text, under their names. */
export function claimTexts(claims: JsonObject): Readonly<Record<string, string>> {
  const texts = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(claims)) {
    const text = claimText(value);
    if (text !== undefined) texts[name] = text;
  }
  return texts;
}

/** Whether every demanded claim is there and says what is demanded; of a list, one item must. */
export function claimsMatch(demands: Readonly<Record<string, ClaimDemand>>, claims: JsonObject): boolean {
  return Object.entries(demands).every(([name, demand]) => {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
    const items = Array.isArray(value) ? (value as readonly Json[]) : [value];
    return items.some((item) => meets(demand, claimText(item)));
  });
}

function meets(demand: ClaimDemand, text: string | undefined): boolean {
  if (text === undefined) return false;
  return typeof demand === 'string' ? text === demand : isLike(text, demand.like);
}

/** `*` stands for any run of characters. Pieces are found from the left: linear, whatever text and pattern are. */
function isLike(text: string, pattern: string): boolean {
  const [first = '', ...pieces] = pattern.split('*');
  const last = pieces.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || text.length < first.length + last.length) return false;
  let from = first.length;
  const end = text.length - last.length;
  for (const piece of pieces) {
    const at = text.indexOf(piece, from);
    if (at < 0 || at + piece.length > end) return false;
    from = at + piece.length;
  }
  return text.endsWith(last);
}
