// The upstreams that one may begin with: what each card says and what it fills in.
import Boxes from '@lucide/svelte/icons/boxes';
import FlaskConical from '@lucide/svelte/icons/flask-conical';
import Route from '@lucide/svelte/icons/route';
import Sparkles from '@lucide/svelte/icons/sparkles';
import Wrench from '@lucide/svelte/icons/wrench';
import { m } from '$lib/messages';
import type { Icon } from '$lib/ui/icon';

export type PresetId = 'demo' | 'openai' | 'openrouter' | 'relay' | 'custom';

export type Preset = {
  id: PresetId;
  icon: Icon;
  title: () => string;
  about: () => string;
  base_url: string;
  /** What the empty field shows. */
  example: string;
  model: string;
};

export const presets: Preset[] = [
  {
    id: 'demo',
    icon: FlaskConical,
    title: m.setup_preset_demo,
    about: m.setup_preset_demo_about,
    base_url: '',
    example: '',
    model: '',
  },
  {
    id: 'openai',
    icon: Sparkles,
    title: m.setup_preset_openai,
    about: m.setup_preset_openai_about,
    base_url: 'https://api.openai.com/v1',
    example: 'https://api.openai.com/v1',
    model: 'gpt-image-1',
  },
  {
    id: 'openrouter',
    icon: Route,
    title: m.setup_preset_openrouter,
    about: m.setup_preset_openrouter_about,
    base_url: 'https://openrouter.ai/api/v1',
    example: 'https://openrouter.ai/api/v1',
    model: 'google/gemini-2.5-flash-image',
  },
  {
    id: 'relay',
    icon: Boxes,
    title: m.setup_preset_relay,
    about: m.setup_preset_relay_about,
    base_url: '',
    example: 'https://relay.example.com/v1',
    model: 'gpt-image-1',
  },
  {
    id: 'custom',
    icon: Wrench,
    title: m.setup_preset_custom,
    about: m.setup_preset_custom_about,
    base_url: '',
    example: 'http://192.168.1.20:8000/v1',
    model: '',
  },
];

/** Names of models that probably draw. */
const DRAWS =
  /image|dall-?e|flux|imagen|seedream|banana|stable-?diffusion|\bsd[x\d]|midjourney|kolors|draw|picture|ideogram|recraft|hunyuan|cogview|wanx|demo/i;
const SHOWN = 8;

/** The models worth a button of their own: those that probably draw, or else the first ones. */
export function suggested(models: string[]): { models: string[]; draws: boolean } {
  const drawing = models.filter((name) => DRAWS.test(name));
  return drawing.length
    ? { models: drawing.slice(0, SHOWN), draws: true }
    : { models: models.slice(0, SHOWN), draws: false };
}
