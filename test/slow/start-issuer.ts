import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** An issuer in a process of its own, to be killed. */
interface Running {
  readonly url: string;
  readonly child: ChildProcess;
  readonly gone: Promise<void>;
}

/** Starts an issuer from a configuration file. @throws {Error} where it ends before it listens. */
export async function startIssuerProcess(configFile: string): Promise<Running> {
  const script = fileURLToPath(new URL('issuer-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import=tsx', '--conditions=@bulla/source', script, configFile], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (data: Buffer) => resolve(data.toString().trim()));
    child.once('exit', (code) => reject(new Error(`issuer ended with ${code}`)));
  });
  return { url, child, gone };
}
