export { Client, type PutOptions, type WholeFile } from './client/client.ts';
export { connect, type ConnectOptions } from './client/connect.ts';
export { Connector, type Alternatives } from './client/connector.ts';
export { balanced, type Balance } from './client/balance.ts';
export { openFileSource, streamSource, type BlockSource } from './client/block-source.ts';
export { fileSink, streamSink, type BlockSink } from './client/block-sink.ts';
export { PutTree, type PutTreeOptions } from './client/tree/put-tree.ts';
export { GetTree, type GetTreeOptions } from './client/tree/get-tree.ts';
export { copyTree, syncTree, type CopyTreeOptions, type SyncTreeOptions } from './client/tree/sync-tree.ts';
export type { TreeObserver } from './client/tree/run-actions.ts';
export { checkTrees, type CheckOptions, type Difference } from './client/tree/check-trees.ts';
export { treeFilter, type FilterOptions, type TreeFilter } from './client/tree/tree-filter.ts';
export type { Action, SendAction, SkipReason } from './client/tree/action.ts';
export type { Rules } from './client/tree/decide.ts';
export type { Attributes, FileOutcome, SendHooks, TreeDirection } from './client/tree/direction.ts';
export type { ScanOptions } from './client/tree/local-scan.ts';
export type { MaxDelete } from './client/tree/plan.ts';
export type { Totals } from './client/tree/plan-tree.ts';
export type { Unsynced } from './client/tree/unsynced-receipts.ts';
export type { NameFolding, TreeEntry } from './client/tree/tree-entry.ts';
export type { Completion } from './client/local-publish.ts';
export { PartialFile } from './client/partial-file.ts';
export { ResumeKeys } from './client/resume-keys.ts';
export { upload } from './client/upload.ts';
export type { UploadOptions, UploadResult } from './client/upload-options.ts';
export { acquireLease, type Lease, type LeaseOptions } from './client/lease.ts';
export { download, type DownloadOptions, type DownloadResult } from './client/download.ts';
export {
  DEFAULT_RETRY_POLICY,
  type RetryEvent,
  type RetryPolicy,
  type SharedProgress,
} from './client/retry.ts';
export type { RequestOptions } from './client/requests.ts';
export type { TransferOptions } from './client/transfer-options.ts';
export type { TransferProgress } from './client/transfer-progress.ts';
export type { Message } from './protocol/decoder.ts';
export type { HelloAnswer, ListEntry, Receipt, StatAnswer } from './protocol/responses.ts';
export { createServer, type CreatedServer, type CreateServerOptions } from './server/create-server.ts';
export type { AuditEntry, AuditEvent, AuditLog } from './server/audit.ts';
export type { HandshakeOutcome, RequestOutcome, ServerMetrics } from './server/metrics.ts';
export type { Store } from './storage/store.ts';
export type { BlockMap } from './transfer/block-map.ts';
export type { DigestAlgorithm } from './transfer/digests.ts';
export { SealiftError, isSealiftError, ERROR_CODES, type ErrorCode } from './errors.ts';
export type { Address } from './transport/address.ts';
export type { Peer } from './transport/peer.ts';
export type { ExpiringCertificate } from './trust/expiring-certificates.ts';
export type { Clock } from './clock.ts';
export type { Random } from './random.ts';
export type { Logger } from './logger.ts';
