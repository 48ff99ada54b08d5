export type { Account } from './account.ts';
export { apiScopeNames } from './api/scopes.ts';
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
export type { Connection, ConnectionConfig } from './provisioning/connection.ts';
export { type Erased, eraseFromDatabase, erasePerson } from './provisioning/erase.ts';
export {
  checkScimToken,
  issueScimToken,
  listScimTokens,
  revokeScimToken,
  type ScimScope,
  type ScimToken,
  scimScopes,
} from './provisioning/scim-token.ts';
export { type RunningIssuer, serveIssuer } from './serve.ts';
export { addresses, members, resources } from './store/directory.ts';
export { openLibsqlStore } from './store/libsql.ts';
export type { AccountStore, Append, Genesis, Store, StoredCheckpoint } from './store/store.ts';
export {
  type AnyTable,
  addRow,
  changeRows,
  expectRows,
  putRow,
  type Rows,
  type RowWrite,
  removeRows,
  type Table,
} from './store/table.ts';
