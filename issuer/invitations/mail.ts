import type { Mail } from './transport.ts';

interface Invitation {
  readonly to: string;
  /** `<publicUrl>/a/<account>/activate`. */
  readonly page: string;
  readonly code: string;
  /** Unix seconds. */
  readonly expires: number;
}

/**
 * The mail that invites a person. Nothing in it comes from what an IdP wrote about them: a display name would be room
 * for somebody else's words under our sender.
 */
export function invitationMail({ to, page, code, expires }: Invitation): Mail {
  const { host } = new URL(page);
  const until = new Date(expires * 1000).toISOString().slice(0, 16).replace('T', ' ');
  return {
    to,
    subject: `Confirm your account at ${host}`,
    text: [
      `You were added at ${host} and are to confirm that it is you.`,
      '',
      'On your own computer, with Node.js 20 or newer, run:',
      '',
      `    npx bulla activate ${page}#${code}`,
      '',
      'It opens a small page that your computer itself serves, makes your key there, and takes you to the log-in',
      'of your organisation. The key never leaves your computer.',
      '',
      `The code works once, until ${until} UTC. A newer mail makes this one void.`,
      'Nobody will ask you for the code. If you did not expect this, do nothing.',
      '',
    ].join('\n'),
  };
}

/** What a browser sees that follows the link without the command: no script, no form, nothing that could make a key. */
export function invitationPage(page: string): string {
  return [
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Confirm your account</title>',
    '<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}</style>',
    '<h1>Confirm on your own computer</h1>',
    '<p>This page cannot do it for you: your key is to be made where only you can reach it. With Node.js 20 or newer, run',
    'the command of your mail, with its code:</p>',
    `<pre>npx bulla activate ${page}#&lt;code&gt;</pre></html>`,
  ].join('\n');
}
