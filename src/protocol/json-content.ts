/** The value of a content of type `text/json`. Throws where it is no UTF-8, or no JSON. */
export function jsonContent(content: Buffer): unknown {
  return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content));
}
