import { readFileSync } from 'node:fs';
import type { Access, Signer, WireRequest } from '@bulla/verifier';
import { compilePolicySet } from '@bulla/verifier/authoring';
import {
  approvalRequest,
  canonicalJson,
  type JsonObject,
  type RequestForApproval,
  readApprovalRequest,
  signApproval,
} from '@bulla/verifier/envelope';
import type { PolicySetDocument } from '@bulla/verifier/policy';
import { ApiWorld, audience, outcomeOf } from './api.ts';
import type { Party } from './log.ts';
import { signRaw, unpack, withField } from './wire.ts';

const readFile = (name: string): string =>
  readFileSync(new URL(`../../policies/${name}`, import.meta.url), 'utf8');

/** The shipped set: more than 100 by an agent needs one of `finance`, more than 5,000 two, more than 100,000 the `board` too. */
export const paymentsPolicy: PolicySetDocument = await compilePolicySet({
  policyText: readFile('sets/payments-four-eyes/policy.cedar'),
  schemaText: `${readFile('schema.cedarschema')}\n${readFile('sets/payments-four-eyes/schema.cedarschema')}`,
});

export function payment(amount: number, action = 'payment.create'): Access {
  return { action, resource: () => ({ type: 'Treasury', id: 'main' }), context: () => ({ amount }) };
}

/** An approval with claims or header changed, and signed again. */
export function resigned(
  approval: string,
  signer: Signer,
  change: JsonObject,
  header: JsonObject = {},
): string {
  const read = unpack(approval);
  return signRaw(
    canonicalJson({ ...read.header, ...header }),
    canonicalJson({ ...read.claims, ...change }),
    signer,
  );
}

/** A payment as alice's agent sends it. */
export interface Payment {
  readonly amount: number;
  readonly envelope: string;
  readonly url?: string;
  readonly method?: string;
  readonly body?: string;
}

/** Alice, a clerk, whose agent pays; bob and carol in `finance`, dora on the `board`, all of them protected groups. */
export class PaymentsWorld {
  readonly api: ApiWorld;
  readonly bob: Party;
  readonly carol: Party;
  readonly dora: Party;

  constructor({ protectedFinance = true }: { readonly protectedFinance?: boolean } = {}) {
    this.api = new ApiWorld({ policy: paymentsPolicy });
    const { ledger } = this.api;
    ledger.group('finance', { protected: protectedFinance });
    for (const group of ['clerks', 'board']) ledger.group(group, { protected: true });
    ledger.do({ type: 'member.add', group: 'clerks', member: `principal/${this.api.alice.id}` });
    this.bob = ledger.person({ groups: ['finance'] });
    this.carol = ledger.person({ groups: ['finance'] });
    this.dora = ledger.person({ groups: ['board'] });
  }

  /** The request that will be sent, as approvers are told of it. */
  described({ amount, envelope, ...more }: Payment): RequestForApproval {
    return {
      method: 'POST',
      url: `${audience}/payments?currency=EUR`,
      body: JSON.stringify({ amount }),
      headers: { 'content-type': 'application/json' },
      envelope,
      ...more,
    };
  }

  approve(
    paid: Payment,
    signer: Signer,
    change: { readonly now?: number; readonly lifetimeSeconds?: number } = {},
  ): string {
    const shown = readApprovalRequest(approvalRequest(this.described(paid)));
    return signApproval(shown, { signer, now: this.api.now, ...change });
  }

  request(paid: Payment, approvals: readonly string[] = [], signer?: Signer): WireRequest {
    const { method, url, body, headers, envelope } = this.described(paid);
    const wire = this.api.request({
      method,
      url: new URL(url),
      body: body ?? '',
      headers: headers ?? {},
      envelope,
      ...(signer !== undefined && { signer }),
    });
    return approvals.length === 0 ? wire : withField(wire, 'bulla-approval', approvals.join(', '));
  }

  /** `allow`, `deny` or the code, for a fresh proof. */
  outcome(paid: Payment, approvals: readonly string[] = [], signer?: Signer): Promise<string> {
    const wire = this.request(paid, approvals, signer);
    return outcomeOf(this.api.decide(wire, payment(paid.amount)));
  }
}
