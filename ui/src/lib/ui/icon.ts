// What a component takes as an icon: any of @lucide/svelte/icons/…
import type { Component } from 'svelte';
import type { LucideProps } from '@lucide/svelte';

export type Icon = Component<LucideProps>;
