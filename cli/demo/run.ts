import type { Receipt } from '@bulla/verifier';
import { setStage } from './stage.ts';
import { type Line, type Scene, Story, type Timing } from './story.ts';

export interface DemoOptions {
  /** Suspensions that are timed. */
  readonly rounds: number;
  /** Where scenes go as they happen. */
  readonly tell: (text: string) => void;
}

/** What was tried, what came of it, one receipt and the measured time to deny. */
export interface DemoReport {
  readonly scenes: readonly Scene[];
  readonly receipt: Receipt;
  readonly timeToDenyMilliseconds: Timing;
}

/**
 * Tells the whole story on loopback: issuer, API, agent and admin are the real ones, in this process and over HTTP.
 *
 * @throws {Error} as soon as an attempt does not end as the story says.
 */
export async function runDemo({ rounds, tell }: DemoOptions): Promise<DemoReport> {
  const stage = await setStage();
  const scenes: Scene[] = [];
  try {
    const story = new Story(stage);
    const show = <T extends Scene>(scene: T): T => {
      scenes.push(scene);
      tell(sceneText(scenes.length, scene));
      return scene;
    };
    show(story.stageIsSet());
    show(await story.mint());
    show(await story.use());
    show(await story.policySaysNo());
    show(await story.narrow());
    show(await story.replay());
    show(await story.steal());
    const { timing } = show(await story.revoke(rounds));
    const receipt = story.lastReceipt;
    if (receipt === undefined) throw new Error('the API kept no receipt');
    tell(
      `\nThe receipt of the last refusal, as the API keeps it\n${indent(JSON.stringify(receipt, null, 2))}\n`,
    );
    return { scenes, receipt, timeToDenyMilliseconds: timing };
  } finally {
    await stage.close();
  }
}

const marks: Readonly<Record<Line['outcome'], string>> = {
  done: '        ',
  allowed: 'ALLOWED ',
  refused: 'REFUSED ',
};

function sceneText(number: number, { title, lines }: Scene): string {
  const told = lines.map(({ outcome, text, because }) => {
    const reason = because === undefined || because === '' ? '' : `  (${because})`;
    return `   ${marks[outcome]}${text}${reason}`;
  });
  return `\n${number}. ${title}\n${told.join('\n')}\n`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gmu, '   ');
}
