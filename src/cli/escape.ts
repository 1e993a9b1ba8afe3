// C0, DEL, C1, and the marks that turn the direction of text around: what a name may hold to forge what a
// terminal shows.
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}]/gu;

/** `text` as it may be shown: what a terminal would obey is written as `\u001b` instead. */
export function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
