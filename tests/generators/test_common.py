"""scikit-learn's checks of every generator and encoder; no check is expected to fail."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from skal.generators import GAN, VAE, AutoEncoder


@parametrize_with_checks(
    [
        GAN(n_iter=2),
        GAN("dcgan", n_iter=2),
        GAN("wgan_ct", n_iter=2, n_latent=2, batch_size=16),
        VAE(max_epochs=2),
        AutoEncoder(max_epochs=2),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
