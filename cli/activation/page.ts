import { createHash } from 'node:crypto';
import type { Invited } from './invitation.ts';

const style = `
body{font:16px/1.5 system-ui,sans-serif;max-width:38rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.4rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:#555}dd{margin:0;overflow-wrap:anywhere}
label{display:block;margin:.6rem 0}input{font:inherit;padding:.3rem;width:20rem;max-width:100%;display:block}
button{font:inherit;padding:.5rem 1rem;margin:.5rem .5rem 0 0}textarea{width:100%;height:9rem;font:13px monospace}
.error{border-left:4px solid #b00020;padding-left:.8rem}code{overflow-wrap:anywhere}`;

/** No script, nothing loaded, no frame, forms to ourselves only. */
export const contentSecurityPolicy: string = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join('; ');

/** For text and attribute values alike. */
function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/gu, (character) => `&#${character.charCodeAt(0)};`);
}

function page(title: string, body: readonly string[], head = ''): string {
  return [
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>${head}`,
    `<style>${style}</style></head><body><h1>${escaped(title)}</h1>`,
    ...body,
    '</body></html>',
  ].join('\n');
}

function facts(rows: Readonly<Record<string, string>>): string {
  const items = Object.entries(rows).map(
    ([label, value]) => `<dt>${escaped(label)}</dt><dd>${escaped(value)}</dd>`,
  );
  return `<dl>${items.join('')}</dl>`;
}

const passphraseFields = [
  '<p>Choose a passphrase. It protects the key in a file on this computer and goes nowhere else.</p>',
  '<label>Passphrase <input type="password" name="passphrase" required autocomplete="new-password"></label>',
  '<label>Again <input type="password" name="again" required autocomplete="new-password"></label>',
];

/** The first page: who is meant, where, and what will happen. `wrong`: what to tell of the try before. */
export function welcomePage(invited: Invited, asksPassphrase: boolean, wrong?: string): string {
  const { login } = invited;
  return page('Confirm that it is you', [
    ...(wrong === undefined ? [] : [`<p class="error" role="alert">${escaped(wrong)}</p>`]),
    '<p>This page is served by the program you started, on your own computer.</p>',
    facts({
      ...(invited.name !== null && { Name: invited.name }),
      Person: invited.principal,
      At: invited.host,
      Account: invited.account,
      ...(login !== null && { 'Log-in at': login.issuer }),
    }),
    '<form method="post" action="/key">',
    ...(asksPassphrase ? passphraseFields : []),
    ...(login === null
      ? [
          '<p>Your organisation has no log-in that the trust log knows, so somebody who may confirm people, a <b>sponsor</b>,',
          'has to sign for you. You get a text to hand to them, best face to face.</p>',
          '<button name="way" value="sponsor">Make my key, show the text for a sponsor</button>',
          '<p>Without a sponsor your account can be opened with the lowest assurance, <code>delegate</code>: the service alone says',
          'that you are you, and nearly every API refuses that.</p>',
          '<button name="way" value="delegate">Go on with the lowest assurance</button>',
        ]
      : ['<button name="way" value="login">Make my key and log in</button>']),
    '</form>',
  ]);
}

/** After the key was made. */
export function leavingPage(url: string): string {
  return onward('Going to your log-in', 'Your key is made. If nothing happens:', url);
}

/** Not a redirect: browsers hold redirects of a form against `form-action`, and an IdP redirects wherever it likes. */
function onward(title: string, text: string, url: string): string {
  const target = escaped(url);
  return page(
    title,
    [`<p>${text} <a href="${target}" rel="noreferrer">go on to the log-in</a>.</p>`],
    `<meta http-equiv="refresh" content="0;url=${target}">`,
  );
}

/** `words`: of the new key. The sponsor types what the person reads to them, whatever the text says. */
export function sponsorPage(handOver: string, words: string): string {
  return page('Hand this to a sponsor', [
    '<p>Your key is made. Give this text to a sponsor, by a way on which nobody can change it. It holds no secret.</p>',
    `<textarea readonly>${escaped(handOver)}</textarea>`,
    '<p>They will ask for the words of your key. Read them aloud yourself:</p>',
    `<p><b>${escaped(words)}</b></p>`,
    '<p>They run <code>bulla sponsor confirm</code> with it. Then run <code>bulla activate</code> with your invitation again.</p>',
  ]);
}

export function donePage(rows: Readonly<Record<string, string>>): string {
  return page('You are confirmed', [
    facts(rows),
    '<p>The trust log has your key; this computer has followed it and seen that. You can close this page.</p>',
  ]);
}

export function failedPage(message: string, code: string, again: boolean): string {
  return page('That did not work', [
    `<p class="error" role="alert">${escaped(message)} (${escaped(code)})</p>`,
    again
      ? '<p><a href="/">Try again</a></p>'
      : '<p>The program has ended, and printed the same. You can start it again with the same invitation.</p>',
  ]);
}

/** Sends an operator's browser to the log-in. */
export function loginPage(url: string): string {
  return onward('Going to your log-in', 'If nothing happens:', url);
}

/** After a log-in of an operator: the browser's part is over. */
export function loggedInPage(): string {
  return page('Back to the command', [
    '<p>The log-in is done. Whether the issuer takes it is said where you started the command. You can close this page.</p>',
  ]);
}
