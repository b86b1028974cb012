// Names for the shapes of the admin API, taken from its generated types.
import type { components } from './schema';

type Schemas = components['schemas'];

export type Session = Schemas['Session'];
export type SessionRow = Schemas['SessionRow'];
export type Shape = Schemas['Shape'];
export type Setting = Schemas['Setting'];
export type GatewayKey = Schemas['GatewayKey'];
export type Upstream = Schemas['Upstream'];
export type NewUpstream = Schemas['NewUpstream'];
export type UpstreamPatch = Schemas['UpstreamPatch'];
export type UpstreamTest = Schemas['UpstreamTest'];
export type Figures = Schemas['Figures'];
export type Stats = Schemas['Stats'];
export type Day = Schemas['Day'];
export type Running = Schemas['Running'];
export type Image = Schemas['Image'];
export type ImageDetails = Schemas['ImageDetails'];
export type ImagePage = Schemas['ImagePage'];
export type Deleted = Schemas['Deleted'];
export type Cache = Schemas['Cache'];
export type Job = Schemas['Job'];
export type JobKind = Schemas['JobKind'];
export type Line = Schemas['Line'];
export type Activity = Schemas['Activity'];
export type Snapshot = Schemas['Snapshot'];
export type TestDrawing = Schemas['TestDrawing'];
export type Connect = Schemas['Connect'];
export type Place = Schemas['Place'];
export type ConnectCheck = Schemas['ConnectCheck'];
export type About = Schemas['About'];
