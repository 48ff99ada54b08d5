import { type IssuerCode, IssuerRefusal } from '../errors.ts';

/** What RFC 7644 table 9 calls a refusal, by the code of it; codes that are not here have no `scimType`. */
const scimTypes: Readonly<Partial<Record<string, string>>> = {
  scim_filter_invalid: 'invalidFilter',
  scim_syntax_invalid: 'invalidSyntax',
  body_invalid: 'invalidSyntax',
  json_invalid: 'invalidSyntax',
  scim_path_invalid: 'invalidPath',
  scim_target_missing: 'noTarget',
  scim_value_invalid: 'invalidValue',
  scim_reference_unknown: 'invalidValue',
  scim_attribute_fixed: 'mutability',
  row_taken: 'uniqueness',
  member_unknown: 'invalidValue',
  group_nested: 'invalidValue',
};

/** The `scimType` of RFC 7644 section 3.12 for a code. */
export function scimTypeOf(code: string): string | undefined {
  return scimTypes[code];
}

/** A refusal of the SCIM protocol. `message` names attributes and rules, never what somebody sent as a value. */
export function refuse(code: IssuerCode & `scim_${string}`, message: string): IssuerRefusal {
  return new IssuerRefusal(code, message);
}
