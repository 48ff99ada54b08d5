import { Transform } from 'node:stream';

/** Replaces secrets in output. What is added later is replaced from then on. */
export interface Mask {
  /**
   * `always`: as long as there is output. `recent`: the newest 512, for what is renewed again and again and worth nothing
   * once it is old. A value under 4 bytes is not looked for: it would be found everywhere.
   *
   * @returns whether it was not known.
   */
  add(value: string, keep: 'always' | 'recent'): boolean;
  /** One for each stream; bytes that are no secret pass unchanged, a secret cut over several chunks is found. */
  stream(): Transform;
}

const stars = '***';
const minBytes = 4;
const maxRecent = 512;

export function createMask(): Mask {
  const always = new Set<string>();
  const recent = new Set<string>();
  let search = createSearch([]);
  return {
    add: (value, keep) => {
      const forms =
        keep === 'always'
          ? [value, ...linesOf(value)].flatMap((each) => formsOf(each))
          : [...formsOf(value, false), ...partsOf(value)];
      const known = keep === 'always' ? always : recent;
      const isNew = !forms.every((form) => known.has(form));
      for (const form of forms) {
        // What is used again counts as new again.
        known.delete(form);
        known.add(form);
      }
      if (!isNew) return false;
      for (const oldest of recent) {
        if (recent.size <= maxRecent) break;
        recent.delete(oldest);
      }
      search = createSearch([...always, ...recent]);
      return true;
    },
    stream: () => {
      let pending = '';
      return new Transform({
        transform(chunk: Buffer, _encoding, done) {
          const { out, rest } = search(pending + chunk.toString('latin1'), false);
          pending = rest;
          done(null, Buffer.from(out, 'latin1'));
        },
        flush(done) {
          done(null, Buffer.from(search(pending, true).out, 'latin1'));
        },
      });
    },
  };
}

/** A secret as it is, and as programs write it: in JSON, percent- and form-encoded, in base64 and base64url at any offset. */
function formsOf(value: string, encoded = true): readonly string[] {
  const bytes = Buffer.from(value);
  if (bytes.length < minBytes) return [];
  const percent = encodeURIComponent(value);
  const plus = new URLSearchParams([['', value]]).toString().slice(1);
  const lower = [percent, plus].map((text) => text.replaceAll(/%../gu, (escape) => escape.toLowerCase()));
  const forms = [value, JSON.stringify(value).slice(1, -1), percent, plus, ...lower];
  if (encoded && bytes.length >= 12) {
    for (const shift of [0, 1, 2]) {
      const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64url');
      // Without the characters that depend on what stands before and behind.
      const inner = text.slice(Math.ceil((shift * 8) / 6), Math.floor(((shift + bytes.length) * 8) / 6));
      forms.push(inner, inner.replaceAll('-', '+').replaceAll('_', '/'));
    }
  }
  return [...new Set(forms)].map((text) => Buffer.from(text).toString('latin1'));
}

/** Lines of a secret, such as a private key in PEM, that are printed one by one: with other ends, or indented. Short ones say little. */
export function linesOf(value: string): readonly string[] {
  return value
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.length >= 12);
}

/** Payloads and signatures of what consists of compact JWS: each is enough to tell what the whole said. */
function partsOf(value: string): readonly string[] {
  return value
    .split('~')
    .flatMap((jws) => jws.split('.').slice(1))
    .filter((part) => part.length >= 40);
}

type Search = (text: string, last: boolean) => { readonly out: string; readonly rest: string };

/** Finds by the first four characters, of which there are few, and compares the rest there. */
function createSearch(secrets: readonly string[]): Search {
  const byStart = new Map<string, string[]>();
  for (const secret of secrets.toSorted((a, b) => b.length - a.length)) {
    const start = secret.slice(0, minBytes);
    byStart.set(start, [...(byStart.get(start) ?? []), secret]);
  }
  const starts = [...byStart.keys()];
  if (starts.length === 0) return (text) => ({ out: text, rest: '' });
  const anyStart = new RegExp(
    starts.map((start) => start.replaceAll(/[^\w]/gu, String.raw`\$&`)).join('|'),
    'g',
  );
  return (text, last) => {
    let out = '';
    let from = 0;
    anyStart.lastIndex = 0;
    for (let found = anyStart.exec(text); found !== null; found = anyStart.exec(text)) {
      const at = found.index;
      const candidates = byStart.get(found[0]) ?? [];
      if (!last && candidates.some((secret) => isBegun(secret, text, at))) {
        return { out: out + text.slice(from, at), rest: text.slice(at) };
      }
      const secret = candidates.find((candidate) => text.startsWith(candidate, at));
      anyStart.lastIndex = at + (secret?.length ?? 1);
      if (secret === undefined) continue;
      out += text.slice(from, at) + stars;
      from = at + secret.length;
    }
    const end = last ? text.length : endOf(text, from, starts);
    return { out: out + text.slice(from, end), rest: text.slice(end) };
  };
}

/** Whether the text ends in the middle of the secret. */
function isBegun(secret: string, text: string, at: number): boolean {
  return text.length - at < secret.length && secret.startsWith(text.slice(at));
}

/** Where the first characters of a secret may have begun that are too few to be found. */
function endOf(text: string, from: number, starts: readonly string[]): number {
  for (let at = Math.max(from, text.length - minBytes + 1); at < text.length; at += 1) {
    const tail = text.slice(at);
    if (starts.some((start) => start.startsWith(tail))) return at;
  }
  return text.length;
}
