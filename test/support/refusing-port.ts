/**
 * A port of this machine that refuses connections: no service is registered for it, and a system that picks a port for
 * a test that listens never picks one so low.
 */
export const REFUSING_PORT = 1_023;
