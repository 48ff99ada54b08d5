/**
 * Text of somebody else's as one line of a terminal: control characters, invisible ones, those that turn the direction of
 * reading, and line breaks of every kind are written out.
 */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}
