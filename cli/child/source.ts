import { readFileSync } from 'node:fs';
import {
  type CredentialSource,
  githubActions,
  githubVariables,
  oidcClientCredentials,
  spiffeCommand,
  spiffeFile,
  tokenFile,
} from '@bulla/agent';
import { CliError } from '../errors.ts';
import type { Environment } from './references.ts';

/** Where the credential comes from, as the configuration says it. */
export type SourceSettings =
  | { readonly kind: 'github' }
  | { readonly kind: 'spiffe-command'; readonly command: readonly string[] }
  | { readonly kind: 'spiffe-file'; readonly file: string }
  | {
      readonly kind: 'token-file';
      readonly file: string;
      readonly tokenType: 'jwt' | 'id_token' | 'access_token';
    }
  | {
      readonly kind: 'oidc';
      readonly tokenEndpoint: string;
      readonly clientId: string;
      readonly clientSecretFile?: string;
      readonly clientSecretEnv?: string;
      readonly audience?: string;
      readonly resource?: string;
      readonly scope?: string;
      readonly authentication: 'post' | 'basic';
    };

/** A source, and what of it must not reach the child. */
export interface OpenedSource {
  readonly source: CredentialSource;
  /** Variables that hold the credential, or lead to it. */
  readonly variables: readonly string[];
}

/** @param onSecret hears of every token and secret before it is used. @throws {AgentError} `config_invalid`. @throws {CliError} `argument_invalid`. */
export function openSource(
  settings: SourceSettings,
  env: Environment,
  onSecret: (value: string, keep: 'always' | 'recent') => void,
): OpenedSource {
  const { source, variables } = open(settings, env, onSecret);
  for (const name of variables) onSecret(env[name] ?? '', 'always');
  return {
    variables,
    source: {
      subjectToken: async (binding) => {
        const subject = await source.subjectToken(binding);
        onSecret(subject.token, 'recent');
        return subject;
      },
    },
  };
}

function open(
  settings: SourceSettings,
  env: Environment,
  onSecret: (value: string, keep: 'always' | 'recent') => void,
): OpenedSource {
  switch (settings.kind) {
    case 'github':
      return { source: githubActions(env), variables: githubVariables };
    case 'spiffe-command':
      return { source: spiffeCommand(settings.command, { env }), variables: [] };
    case 'spiffe-file':
      return { source: spiffeFile(settings.file), variables: [] };
    case 'token-file':
      return { source: tokenFile(settings.file, settings.tokenType), variables: [] };
    default:
      return openClient(settings, env, onSecret);
  }
}

function openClient(
  settings: Extract<SourceSettings, { kind: 'oidc' }>,
  env: Environment,
  onSecret: (value: string, keep: 'always' | 'recent') => void,
): OpenedSource {
  const { clientSecretFile, clientSecretEnv, resource, audience, scope, ...rest } = settings;
  if ((clientSecretFile === undefined) === (clientSecretEnv === undefined)) {
    throw new CliError('argument_invalid', 'give the client secret by a file or a variable, not both');
  }
  const fromEnv = clientSecretEnv === undefined ? undefined : env[clientSecretEnv];
  if (clientSecretEnv !== undefined && (fromEnv ?? '') === '') {
    throw new CliError('argument_invalid', `the variable \`${clientSecretEnv}\` is not set`);
  }
  const clientSecret = (): string => {
    const secret = fromEnv ?? readSecretFile(clientSecretFile ?? '');
    onSecret(secret, 'always');
    return secret;
  };
  return {
    source: oidcClientCredentials({
      ...rest,
      clientSecret,
      ...(audience !== undefined && { audience }),
      ...(scope !== undefined && { scope }),
      ...(resource !== undefined && { parameters: { resource } }),
    }),
    variables: clientSecretEnv === undefined ? [] : [clientSecretEnv],
  };
}

function readSecretFile(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    throw new CliError('argument_invalid', `the client secret's file \`${file}\` cannot be read`);
  }
}
