import { systemPorts } from '@bulla/verifier';
import { PlainBrowser } from '../kit/browser.ts';
import { InvitedWorld, invitationIn } from '../kit/invited.ts';
import { Desk, type Ran, type RunOptions } from './desk.ts';

/** A desk whose command line reaches the issuer of an {@link InvitedWorld} without a network, and the IdP with one. */
export class InvitedDesk {
  readonly invited: InvitedWorld;
  readonly desk: Desk = new Desk();

  private constructor(invited: InvitedWorld) {
    this.invited = invited;
  }

  static async create(...options: Parameters<typeof InvitedWorld.create>): Promise<InvitedDesk> {
    return new InvitedDesk(await InvitedWorld.create(...options));
  }

  options(): RunOptions {
    const { world } = this.invited;
    return {
      ports: {
        now: world.ports.now,
        fetch: async (input, init) => {
          const url = input instanceof Request ? input.url : String(input);
          return url.startsWith(world.config.publicUrl)
            ? world.issuer.app.request(url, init)
            : systemPorts.fetch(input, init);
        },
      },
      stopped: new AbortController().signal,
    };
  }

  /** The address of the newest mail. */
  async invitation(): Promise<string> {
    await this.invited.world.hosted.invitations?.tick();
    return invitationIn(this.invited.mailbox.mails.at(-1)?.text ?? '').url;
  }

  /** Runs a command, and does in the browser it opens what `person` does. */
  async browse(
    argv: readonly string[],
    person: (browser: PlainBrowser) => Promise<unknown>,
    desk: Desk = this.desk,
  ): Promise<Ran> {
    const stop = new AbortController();
    let failure: unknown;
    let pages: Promise<unknown> = Promise.resolve();
    const ran = await desk.run(argv, {
      ...this.options(),
      stopped: stop.signal,
      openBrowser: (address) => {
        pages = new PlainBrowser()
          .open(address)
          .then(person)
          .catch((error: unknown) => {
            failure = error;
            stop.abort();
          });
      },
    });
    await pages;
    if (failure !== undefined) throw failure;
    return ran;
  }

  /** Follows the page to the IdP, logs in there, comes back. */
  async logIn(browser: PlainBrowser, name: string): Promise<PlainBrowser> {
    if (browser.refresh === '') throw new Error(`no log-in: ${browser.status} ${browser.page}`);
    return browser.open(await this.invited.idp.logIn(browser.refresh, `idp-${name}`));
  }

  async close(): Promise<void> {
    await this.desk.close();
    await this.invited.close();
  }
}
