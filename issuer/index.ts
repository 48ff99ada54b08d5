export { createIssuer, type Issuer } from './app.ts';
export {
  type AccountConfig,
  type ConfigField,
  describeConfig,
  type IssuerConfig,
  loadConfig,
  parseConfig,
} from './config.ts';
export { ConfigError, type IssuerCode, IssuerRefusal, issuerCodes } from './errors.ts';
export {
  createDocumentFetch,
  DocumentError,
  type DocumentFetchOptions,
  type FetchDocument,
  type Lookup,
} from './federation/fetch-document.ts';
export { type InitialisedAccount, initAccount } from './init.ts';
export { type IssuerPorts, type LogLine, systemIssuerPorts } from './ports.ts';
export { type RunningIssuer, serveIssuer } from './serve.ts';
export { openLibsqlStore } from './store/libsql.ts';
export type { AccountStore, Append, Store, StoredCheckpoint } from './store/store.ts';
