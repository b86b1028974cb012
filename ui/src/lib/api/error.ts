// The one kind of failure that the rest of the UI sees. It goes by `code`; the text is only for what no code is known of.

import type { FieldProblem } from './types';

export class ApiError extends Error {
  constructor(
    /** The server's code, or ours: unreachable, timeout, bad_answer. */
    readonly code: string,
    message: string,
    /** 0 when no answer came. */
    readonly status: number,
    /** What is wrong, by field. */
    readonly fields: Record<string, FieldProblem> = {},
    /** Seconds until another try makes sense. */
    readonly retryAfter: number | null = null,
    /** How many images it would concern, where a question is to be answered first. */
    readonly count: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

type Body = { error?: { code?: unknown; message?: unknown; fields?: unknown; count?: unknown } };

/** From an answer that is no success; `body` is what could be read of it. */
export function fromAnswer(response: Response, body: unknown): ApiError {
  const told = (body as Body | undefined)?.error;
  const wait = Number(response.headers.get('Retry-After'));
  return new ApiError(
    typeof told?.code === 'string' ? told.code : 'bad_answer',
    typeof told?.message === 'string' ? told.message : `HTTP ${response.status}`,
    response.status,
    told?.fields && typeof told.fields === 'object' ? (told.fields as Record<string, FieldProblem>) : {},
    Number.isFinite(wait) && wait > 0 ? wait : null,
    typeof told?.count === 'number' ? told.count : null,
  );
}

/** From whatever was thrown. */
export function asApiError(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  return new ApiError('unreachable', text, 0);
}

/** Whether it is only a request that we gave up ourselves. */
export function wasAborted(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === 'AbortError';
}
