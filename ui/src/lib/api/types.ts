// Names for the shapes of the admin API, taken from its generated types.
import type { components } from './schema';

type Schemas = components['schemas'];

export type Session = Schemas['SessionState'];
export type SessionRow = Schemas['SessionItem'];
export type Shape = Schemas['Shape'];
export type Setting = Schemas['SettingItem'];
export type GatewayKey = Schemas['GatewayKey'];
export type Upstream = Schemas['Upstream'];
export type NewUpstream = Schemas['NewUpstream'];
export type UpstreamPatch = Schemas['ChangeUpstream'];
export type UpstreamProbe = Schemas['TestUpstream'];
export type UpstreamTest = Schemas['Tested'];
export type Figures = Schemas['Figures'];
export type Stats = Schemas['Stats'];
export type Day = Schemas['DayFigures'];
export type Running = Schemas['Running'];
export type Image = Schemas['Image'];
export type ImageDetails = Schemas['ImageDetails'];
export type ImagePage = Schemas['ImagePage'];
export type DeleteWhat = Schemas['DeleteWhat'];
export type Cache = Schemas['Cache'];
export type CacheAction = Schemas['Action'];
export type Hindrance = Schemas['Hindrance'];
export type Bucket = Schemas['BucketView'];
export type BucketProbe = Schemas['BucketProbe'];
export type BucketTest = Schemas['BucketTest'];
export type Job = Schemas['Job'];
export type JobKind = Schemas['JobKindName'];
export type ImportState = Schemas['ImportState'];
export type ImportNote = Schemas['ImportNote'];
export type Line = Schemas['Line'];
export type Activity = Schemas['Activity'];
export type TestDrawing = Schemas['Drawn'];
export type Connect = Schemas['Connect'];
export type Place = Schemas['Place'];
export type ConnectCheck = Schemas['Checked'];
export type About = Schemas['About'];
export type Finding = Schemas['Finding'];
export type Shell = Schemas['ShellView'];
export type ShellPage = Schemas['PageName'];
/** What is wrong with a field: `code` is stable, `message` is English. */
export type FieldProblem = Schemas['FieldProblem'];
export type DeletedItem = Schemas['DeletedItem'];
export type Listen = Schemas['Listen'];
export type Reach = Schemas['ReachName'];

/** One event of the stream, and the data of each by its name. */
export type Told = Schemas['Told'];
export type LiveEvents = { [Name in Told['event']]: Extract<Told, { event: Name }>['data'] };
export type Snapshot = LiveEvents['snapshot'];
