/** pagewalk/models: memory models of domains, logs of what they write, DMA, live migration, and domains saved and restored. */
export { dirtyFrames, type DirtyLog, type DirtyPages } from './dirty-log.ts';
export { DmaDoor, type DmaOptions, type DmaRefusal, type DmaResult } from './dma-door.ts';
export { FlagLog } from './flag-log.ts';
export { IdentityModel } from './identity-model.ts';
export { Iommu, type IommuFault } from './iommu.ts';
export { migrate, type Migration, type MigrationOptions, type MigrationRound } from './live-migration.ts';
export type { MemoryModel } from './memory-model.ts';
export { P2mModel } from './p2m-model.ts';
export { restoreDomain, type RestoreOptions } from './restore-domain.ts';
export { saveDomain } from './save-domain.ts';
export { SecondStageTables, type SecondStageOptions } from './second-stage-tables.ts';
export { ShadowLog, type FrameNames, type ShadowRounds } from './shadow-log.ts';
export { TranslatedModel } from './translated-model.ts';
export type { Translation } from './translation.ts';
export { WriteLog } from './write-log.ts';
