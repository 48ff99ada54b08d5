// Shows what an admin does once: an account, its issuer, a policy set, a person, her agent, a pin. Start it first.
// Run:   node --import=tsx --conditions=@bulla/source examples/admin.ts
// Prints `issuer on <url>` when the other examples may start, and serves until it is stopped.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generateKey } from '@bulla/agent';
import { loadConfig, serveIssuer } from '@bulla/issuer';
import { createSigner, systemPorts } from '@bulla/verifier';
import { compilePolicySet } from '@bulla/verifier/authoring';
import { raiseLock } from '@bulla/verifier/log';
import { policySetBytes } from '@bulla/verifier/policy';
import {
  addPerson,
  createGroup,
  Ledger,
  publishPolicy,
  registerAgent,
  registerAudience,
  setUp,
} from 'bulla/admin';
import { folder, type Settings } from './settings.ts';

const issuerUrl = process.env['ISSUER'] ?? 'http://127.0.0.1:8787';
const audience = process.env['API'] ?? 'http://127.0.0.1:8788';
const read = (name: string): string => readFileSync(new URL(`../policies/${name}`, import.meta.url), 'utf8');

// The admin key stays with the admin: the issuer gets keys of its own, with leases.
const admins = [createSigner(generateKey().privateJwk)];
mkdirSync(folder, { recursive: true, mode: 0o700 });
const ledgerFolder = path.join(folder, 'admin');
const service = { folder: path.join(folder, 'issuer'), issuerUrl, audiences: [audience] };
const setup = await setUp({ ...service, admins, ledgerFolder: () => ledgerFolder, ...systemPorts });
const { account, readToken } = setup;
const issuer = await serveIssuer(loadConfig(setup.configFile, {}), { log: () => undefined });

// Each change is signed on a log that this program followed itself, and is done when a checkpoint covers it.
const ledger = await Ledger.open({ account, url: issuerUrl, readToken, folder: ledgerFolder, admins });
const document = await compilePolicySet({
  policyText: read('sets/orders-to-amount/policy.cedar'),
  schemaText: `${read('schema.cedarschema')}\n${read('sets/orders-to-amount/schema.cedarschema')}`,
});
await publishPolicy(ledger, 'orders', document);
writeFileSync(path.join(folder, 'policy.json'), policySetBytes(document));
await registerAudience(ledger, audience, 'orders');
await createGroup(ledger, 'buyers', true);
const alice = createSigner(generateKey().privateJwk);
const person = await addPerson(ledger, { groups: ['buyers'], attributes: { team: 'blue' }, key: alice });
const key = generateKey().privateJwk;
const { agent } = await registerAgent(ledger, { owner: person.principal, key: createSigner(key) });

const lock = path.join(folder, 'bulla.lock');
const { size, root } = ledger.trust;
await raiseLock(lock, { account, size, root, time: Math.floor(ledger.now() - ledger.age) });
await ledger.close();
const told = { account, issuer: issuerUrl, readToken, lock, audience };
const settings: Settings = { ...told, agent: { clientId: agent, key } };
writeFileSync(path.join(folder, 'settings.json'), JSON.stringify(settings, null, 2), { mode: 0o600 });
console.log(`issuer on ${issuer.url}`);
process.once('SIGTERM', () => void issuer.close());
