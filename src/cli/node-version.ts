/**
 * One sentence for the user whose Node is too old, or undefined when it will do.
 *
 * This is read before anything else is loaded, by Nodes of any age, so it imports nothing and uses only
 * syntax that they all know. What it allows is `engines.node` of package.json.
 */
export function unsupportedNodeMessage(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const supported = (major === 22 && minor >= 22) || (major === 24 && minor >= 5) || major >= 26;
  if (supported) return undefined;
  return `sealift needs Node.js 22.22 or newer in the 22 line, 24.5 or newer in the 24 line, or 26 and later; this is ${version}.`;
}
