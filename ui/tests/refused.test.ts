// What the server refuses is told by the codes of its faults: its English is free to change.
import { expect, it, vi } from 'vitest';
import type { FieldProblem } from '../src/lib/api';

vi.mock('$lib/i18n.svelte', () => ({ i18n: { locale: 'zh-CN' } }));
const { m } = await import('../src/lib/messages');
const { refusedFields } = await import('../src/lib/domain/settingsUpstreams');
const { refusalOf } = await import('../src/lib/domain/settingsCheck');

const problem = (code: FieldProblem['code'], message = 'whatever it says'): FieldProblem => ({
  code,
  message,
});

it('fields of an upstream', () => {
  const told = (field: string, code: FieldProblem['code']) =>
    refusedFields({ [field]: problem(code) })[field];
  expect(told('name', 'length')).toBe(m.settings_f_wrong_name());
  expect(told('name', 'taken')).toBe(m.settings_f_wrong_name_taken());
  expect(told('name', 'too_many')).toBe(m.settings_f_wrong_many());
  expect(told('base_url', 'address')).toBe(m.settings_f_wrong_url());
  expect(told('api_key', 'characters')).toBe(m.settings_f_wrong_key());
  expect(told('api_key', 'moved')).toBe(m.settings_f_key_moved());
  expect(told('model', 'length')).toBe(m.settings_f_wrong_model());
  expect(told('dialect', 'invalid')).toBe(m.settings_wrong_other());
});

it('settings: by their shape, unless they cannot be changed at all', () => {
  const number = { kind: 'number', min: 0, max: 9 } as const;
  expect(refusalOf(number, '12', problem('invalid'))).toBe(m.settings_wrong_number({ min: 0, max: 9 }));
  expect(refusalOf(number, '12', problem('locked'))).toBe(m.settings_wrong_locked());
  expect(refusalOf({ kind: 'aliases' }, 'x', problem('invalid', 'line 1: …'))).toContain('line 1: …');
});
