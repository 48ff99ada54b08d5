/** A credential that the program has already, for the issuer to exchange (RFC 8693 section 2.1). */
export interface SubjectToken {
  /** Compact, as its issuer gave it. A secret: it goes to our issuer and nowhere else. */
  readonly token: string;
  readonly type: SubjectTokenType;
}

/** The `subject_token_type` values of RFC 8693 section 3 that an issuer takes, by their last word. */
export type SubjectTokenType = 'jwt' | 'id_token' | 'access_token';

/**
 * Where an agent without a logged key gets what it exchanges. Asked again for every exchange, so a source that renews is
 * all that an agent needs to go on for ever.
 */
export interface CredentialSource {
  /**
   * @param binding `bulla:<account>:<thumbprint of the holder key>`: what the token's audience must hold, where its issuer
   *   lets one choose it. A token without it is `vouched` for at best (docs/spec/issuer.md).
   * @throws {AgentError} `source_unavailable`, `source_refused`, `source_answer_invalid`, `config_invalid`.
   */
  subjectToken(binding: string): Promise<SubjectToken>;
}

/** As it stands in the form of a token request. */
export function subjectTokenTypeUrn(type: SubjectTokenType): string {
  return `urn:ietf:params:oauth:token-type:${type}`;
}
