// Components are compiled in runes mode only: one way to write state.
export default {
    compilerOptions: {
        runes: ({ filename }) => (filename.split(/[/\\]/).includes('node_modules') ? undefined : true),
    },
};
