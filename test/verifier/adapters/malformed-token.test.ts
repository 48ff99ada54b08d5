import { describeCode } from '@bulla/verifier';
import { guardFetch } from '@bulla/verifier/fetch';
import { expect, test } from 'vitest';
import { ApiWorld, audience } from '../../kit/api.ts';

test.each(['x', 'a.b.c', 'eyJhbGciOiJub25lIn0.e30.'])(
  'an envelope that does not parse is an invalid token, not a bad request: %s',
  async (envelope) => {
    const world = new ApiWorld();
    const handle = guardFetch(world.verifier, {
      'GET /notes/1': {
        action: 'read',
        resource: () => ({ type: 'Note', id: '1' }),
        handler: () => new Response(),
      },
    });
    const headers = { authorization: `DPoP ${envelope}`, dpop: 'a.b.c' };
    const response = await handle(new Request(`${audience}/notes/1`, { headers }));
    const { code } = (await response.json()) as { code: Parameters<typeof describeCode>[0] };
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"');
    expect(describeCode(code).oauth).toBe('invalid_token');
  },
);
