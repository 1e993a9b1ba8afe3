// C0, DEL, C1, and the marks that turn the direction of text around: what a name may hold to forge what a
// terminal shows.
// eslint-disable-next-line no-control-regex -- finding control characters is what this expression is for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** `text` as it may be shown: what a terminal would obey is written as `\u001b` instead. */
export function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
